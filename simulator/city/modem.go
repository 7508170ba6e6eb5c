package city

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// modem stands between a terminal and the broker. Switched off it drops what is connected and takes nobody new, as a
// vehicle out of coverage does.
type modem struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	off   bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newModem(target string) (*modem, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("city: modem: %w", err)
	}
	m := &modem{listener: l, target: target, conns: map[net.Conn]bool{}}
	m.wg.Add(1)
	go m.serve()
	return m, nil
}

// url is what the terminal connects to.
func (m *modem) url() string { return "tcp://" + m.listener.Addr().String() }

func (m *modem) serve() {
	defer m.wg.Done()
	for {
		near, err := m.listener.Accept()
		if err != nil {
			return // closed
		}
		m.wg.Add(1)
		go func() {
			defer m.wg.Done()
			m.carry(near)
		}()
	}
}

func (m *modem) carry(near net.Conn) {
	defer near.Close()
	if !m.hold(near) {
		return
	}
	defer m.drop(near)
	var d net.Dialer
	far, err := d.DialContext(context.Background(), "tcp", m.target)
	if err != nil {
		return // the terminal tries again
	}
	defer far.Close()
	if !m.hold(far) {
		return
	}
	defer m.drop(far)
	both := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // an end of the line is what a modem has
			both <- struct{}{}
		}()
	}
	<-both
	near.Close()
	far.Close()
	<-both
}

// hold notes a connection, and refuses it while the modem is off.
func (m *modem) hold(c net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.off {
		m.conns[c] = true
	}
	return !m.off
}

func (m *modem) drop(c net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c)
}

// set switches the modem on or off.
func (m *modem) set(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = !on
	if m.off {
		for c := range m.conns {
			c.Close()
		}
	}
}

func (m *modem) close() error {
	m.set(false)
	err := m.listener.Close()
	m.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
