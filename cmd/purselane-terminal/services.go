package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/link"
	"github.com/purselane/purselane/terminal/screen"
	"github.com/purselane/purselane/terminal/service"
)

// services are what runs beside a terminal: the local API with its screens and metrics, the link to other terminals, and the service manager's watchdog. They
// live as long as the program; the terminal behind the API may be opened anew.
type services struct {
	cfg     *config
	local   local
	log     *slog.Logger
	level   *slog.LevelVar
	hub     *api.Hub
	metrics *api.Metrics
	manager service.Manager
	listen  net.Listener // nil: no API
	link    *link.Link   // nil: none

	all sync.WaitGroup

	mu     sync.Mutex
	device *api.Device // nil: between two lives of the terminal
}

// errStarting is told while no terminal is open.
var errStarting = errors.New("the terminal is starting")

// newServices opens what the configuration names.
func newServices(cfg *config, local local, window time.Duration, log *slog.Logger, level *slog.LevelVar, manager service.Manager) (s *services, err error) {
	modes := make([]string, len(cfg.Lanes))
	for i, l := range cfg.Lanes {
		modes[i] = l.Mode
	}
	s = &services{cfg: cfg, local: local, log: log, level: level, hub: api.NewHub(modes), manager: manager}
	s.metrics = api.NewMetrics(s.health)
	if cfg.API != nil {
		address := cfg.API.Listen
		if path, found := cutUnix(address); found {
			address = "unix:" + cfg.path(path)
		}
		if s.listen, err = api.Listen(address); err != nil {
			return nil, fmt.Errorf("api.listen: %w", err)
		}
	}
	if cfg.Link != nil {
		if s.link, err = cfg.openLink(local.linkKey, window, log); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *services) close() error {
	if s.listen == nil {
		return nil
	}
	return s.listen.Close()
}

func (c *config) openLink(key []byte, window time.Duration, log *slog.Logger) (*link.Link, error) {
	cfg := link.Config{Terminal: terminalID(c.Terminal), Key: key, Window: window, Log: log}
	for _, p := range c.Link.Peers {
		a, err := net.ResolveUDPAddr("udp", p)
		if err != nil {
			return nil, fmt.Errorf("link.peers: %w", err)
		}
		cfg.Peers = append(cfg.Peers, a)
	}
	conn, err := net.ListenPacket("udp", c.Link.Listen)
	if err != nil {
		return nil, fmt.Errorf("link.listen: %w", err)
	}
	cfg.Conn = conn
	l, err := link.New(cfg)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return l, nil
}

// show hands an event on.
func (s *services) show(e edge.Event) {
	s.hub.Show(e)
	s.metrics.Show(e)
	if !e.Card {
		s.tellDepth()
	}
}

// tellDepth tells how deep the journal is.
func (s *services) tellDepth() {
	if d := s.now(); d != nil {
		j := d.Journal()
		s.hub.Depth(j.LastSeq()-j.AckedSeq(), d.Clock.Now())
	}
}

// depthEvery is how often receipts are looked for.
const depthEvery = 2 * time.Second

// run serves until ctx ends.
func (s *services) run(ctx context.Context) {
	if s.link != nil {
		s.all.Go(func() { s.link.Run(ctx) })
	}
	s.all.Go(func() { s.manager.Feed(ctx, s.alive, s.log) })
	if s.listen == nil {
		return
	}
	o := api.Options{Terminal: s, Hub: s.hub, Log: s.log, Level: s.level, Token: s.local.token, Metrics: s.metrics.Handler()}
	if !s.cfg.Screen.Off {
		o.Screens = screen.New(s.local.texts)
	}
	s.all.Go(func() {
		tick := time.NewTicker(depthEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.tellDepth()
			}
		}
	})
	server := &http.Server{Handler: api.New(o), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// Requests end with the program: an event stream would never end by itself.
		BaseContext: func(net.Listener) context.Context { return ctx }}
	s.log.Info("local API", "at", s.listen.Addr())
	s.all.Go(func() {
		if err := server.Serve(s.listen); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("local API", "err", err) // it sells on without
		}
	})
	s.all.Go(func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := server.Shutdown(end); err != nil {
			_ = server.Close()
		}
	})
}

// wait returns when everything has ended.
func (s *services) wait() { s.all.Wait() }

// use puts a terminal behind the API; nil takes it away.
func (s *services) use(d *api.Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.device = d
}

// started tells that the terminal sells.
func (s *services) started(d *api.Device) {
	s.use(d)
	if err := s.manager.Notify("READY=1", "STATUS=selling"); err != nil {
		s.log.Error("service manager", "err", err)
	}
}

// stopping tells that the program ends.
func (s *services) stopping() {
	if err := s.manager.Notify("STOPPING=1"); err != nil {
		s.log.Error("service manager", "err", err)
	}
}

func (s *services) now() *api.Device { s.mu.Lock(); defer s.mu.Unlock(); return s.device }

// alive is nil between two lives: opening reads the journal, which may take a while.
func (s *services) alive() error {
	if d := s.now(); d != nil {
		return d.Alive()
	}
	return nil
}

func (s *services) health() (api.Health, error) {
	if d := s.now(); d != nil {
		return d.Health()
	}
	return api.Health{}, errStarting
}

// device is what the API knows of the terminal beside the terminal itself.
func (c *config) device(cfg edge.Config) (api.Device, error) {
	d := api.Device{ID: cfg.Terminal, Program: programName(), Profile: cfg.Profile, Clock: cfg.Clock, Quality: cfg.ClockState}
	if d.Clock == nil {
		d.Clock = clock.System{}
	}
	for _, l := range c.Lanes {
		d.Modes = append(d.Modes, l.Mode)
	}
	if c.DeviceKey != "" { // also of a terminal without an uplink: its records are carried
		key, err := readDeviceKey(c.path(c.DeviceKey))
		if err != nil {
			return d, fmt.Errorf("device_key: %w", err)
		}
		d.Key = key
	}
	return d, nil
}
