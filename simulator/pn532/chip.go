package pn532

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

const (
	startBaud = 115200
	// drowsy is how many bytes a sleeping chip misses.
	drowsy = 8
)

// Options of New.
type Options struct {
	// Link is a path that always leads to the chip's pseudo terminal, as names of serial ports by adapter do. Empty: none.
	Link string
	// Paced makes bytes take the time that they take at the line's speed.
	Paced bool
	// LazyWake is how many SAMConfigurations a chip misses after power-on.
	LazyWake int
	// MaxBaud is the highest speed that the chip takes; 0: all it has.
	MaxBaud int
	// StuckBaud makes the chip say yes to another speed and keep its own.
	StuckBaud bool
	// GoodBaud is the highest speed at which bytes come through; 0: all.
	GoodBaud int
	// Part is the most bytes of a card's answer in one response; default all that fit a frame.
	Part int
	// Sleep waits, for Paced; default time.Sleep.
	Sleep func(time.Duration)
}

// Chip is an emulated PN532.
type Chip struct {
	o Options

	mu     sync.Mutex
	line   *pty // nil while unplugged
	served sync.WaitGroup

	baud, nextBaud int // nextBaud waits for the host's ACK; 0 for none
	asleep         bool
	missed         int  // bytes while asleep
	lowPower       bool // after power-on, until SAMConfiguration
	lazy           int  // SAMConfigurations still to miss
	sleepNext      bool // after the response
	flags          byte
	registers      map[[2]byte]byte
	rf, endless    bool

	field []*presence
	cards int
	came  chan struct{} // closed and renewed when a card is put into the field

	run    int                // number of the command under way
	stop   context.CancelFunc // ends it
	last   []byte             // response frame, for NACK
	faults []Fault
	heard  []byte // codes of the commands that it has taken
}

// New makes a chip and plugs it in.
func New(o Options) (*Chip, error) {
	if o.Part <= 0 || o.Part > maxData {
		o.Part = maxData
	}
	if o.Sleep == nil {
		o.Sleep = time.Sleep
	}
	c := &Chip{o: o, came: make(chan struct{})}
	if err := c.Plug(); err != nil {
		return nil, err
	}
	return c, nil
}

// Path is the host's end of the pseudo terminal, or the link that leads to it; empty while unplugged without a link.
func (c *Chip) Path() string {
	if c.o.Link != "" {
		return c.o.Link
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line == nil {
		return ""
	}
	return c.line.path
}

// Plug plugs the chip in, powered on and asleep. A chip that is plugged in stays so.
func (c *Chip) Plug() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line != nil {
		return nil
	}
	line, err := openPTY()
	if err != nil {
		return err
	}
	if c.o.Link != "" {
		if err := relink(c.o.Link, line.path); err != nil {
			return errors.Join(err, line.close())
		}
	}
	c.line = line
	c.powerOn()
	c.served.Go(func() { c.serve(line) })
	return nil
}

// relink points a link to the pseudo terminal. It replaces nothing but a link.
func relink(link, path string) error {
	switch info, err := os.Lstat(link); {
	case err == nil && info.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s exists and is no link; it was not touched", link)
	case err == nil:
		if err := os.Remove(link); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return os.Symlink(path, link)
}

// Unplug pulls the plug: the port goes, and cards in the field lose their power.
func (c *Chip) Unplug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unplug()
}

func (c *Chip) unplug() {
	if c.line == nil {
		return
	}
	c.end()
	c.setRF(false)
	if c.o.Link != "" {
		_ = os.Remove(c.o.Link)
	}
	_ = c.line.close()
	c.line = nil
}

// PowerCycle takes the chip's power away for a moment, with its port left in place.
func (c *Chip) PowerCycle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.powerOn()
}

// powerOn is the state after power-on. The caller holds mu.
func (c *Chip) powerOn() {
	c.end()
	c.setRF(false)
	c.baud, c.nextBaud = startBaud, 0
	c.asleep, c.missed, c.lowPower, c.lazy, c.sleepNext = true, 0, true, c.o.LazyWake, false
	c.flags, c.registers, c.endless, c.last = 0x14, map[[2]byte]byte{}, true, nil
}

// Close unplugs the chip and waits for all that it has begun.
func (c *Chip) Close() error {
	c.Unplug()
	c.Take()
	c.served.Wait()
	return nil
}

// Heard returns the codes of the commands that the chip has taken since it was last asked.
func (c *Chip) Heard() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.heard
	c.heard = nil
	return out
}

// Baud is the chip's speed.
func (c *Chip) Baud() int { c.mu.Lock(); defer c.mu.Unlock(); return c.baud }

// RF reports whether the field is on.
func (c *Chip) RF() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.rf }

// wakeHeld tells a held command that there is a new card. The caller holds mu.
func (c *Chip) wakeHeld() {
	close(c.came)
	c.came = make(chan struct{})
}

// serve hears what the host says until the plug is pulled.
func (c *Chip) serve(line *pty) {
	var parse frame.Parser
	buf := make([]byte, 1024)
	for {
		n, err := line.chip.Read(buf)
		if err != nil {
			return
		}
		c.pace(line.baud(), n)
		c.hear(line, &parse, buf[:n])
	}
}

func (c *Chip) pace(baud, n int) {
	if c.o.Paced && baud > 0 {
		c.o.Sleep(time.Duration(n) * 10 * time.Second / time.Duration(baud))
	}
}

func (c *Chip) hear(line *pty, parse *frame.Parser, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line != line {
		return
	}
	// The host sets its new speed as soon as its ACK has gone, which is before we look.
	if host := line.baud(); host != c.baud && c.nextBaud == 0 || c.deafened() {
		parse.Reset()
		return
	}
	if c.asleep {
		n := min(len(raw), drowsy-c.missed)
		c.missed += n
		raw = raw[n:]
		c.asleep = c.missed < drowsy
	}
	parse.Push(raw)
	for f, ok := parse.Next(); ok; f, ok = parse.Next() {
		c.handle(f)
	}
}

// deafened reports whether the line loses everything at the chip's speed.
func (c *Chip) deafened() bool { return c.o.GoodBaud > 0 && c.baud > c.o.GoodBaud }

func (c *Chip) handle(f frame.Frame) {
	switch {
	case f.Kind == frame.Ack && c.nextBaud != 0:
		if !c.o.StuckBaud {
			c.baud = c.nextBaud
		}
		c.nextBaud = 0
	case f.Kind == frame.Ack:
		c.end()
	case f.Kind == frame.Nack && c.last != nil:
		c.say(c.last)
	case f.Kind == frame.Information && f.ID == frame.ToChip && len(f.Data) > 0:
		c.command(f.Data[0], f.Data[1:])
	}
}

// end stops the command under way. The caller holds mu.
func (c *Chip) end() {
	c.run++
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// command takes a command; the one under way is dropped.
func (c *Chip) command(code byte, p []byte) {
	c.end()
	c.nextBaud = 0
	if c.lowPower {
		if code != 0x14 {
			return
		}
		if c.lazy > 0 {
			c.lazy--
			return
		}
	}
	f := c.fault(code)
	switch f.Kind {
	case Deaf:
		return
	case NackForAck:
		c.say(frame.NackFrame())
		return
	case HangUp:
		c.unplug()
		return
	case PowerLoss:
		c.powerOn()
		return
	}
	c.heard = append(c.heard, code)
	c.acknowledge(f)
	var response []byte
	var later work
	known := true
	if f.Kind == Status {
		response = []byte{f.Status}
	} else {
		response, later, known = c.execute(code, slices.Clone(p))
	}
	if later == nil {
		c.answer(f, code, response, known)
		return
	}
	run := c.run
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.served.Go(func() {
		response := later(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.run == run && response != nil {
			c.stop = nil
			cancel()
			c.answer(f, code, response, true)
		}
	})
}

// junk is what comes through a bad cable.
var junk = []byte{0x55, 0x00, 0xA5, 0xFF, 0xFF, 0x01, 0x7E}

// before is what a fault puts before each frame.
func (f Fault) before() []byte {
	switch f.Kind {
	case Noise:
		return junk
	case FalseStart:
		return []byte{0x00, 0xFF, 0x80, 0x80}
	case LongPreamble:
		return make([]byte, 40)
	}
	return nil
}

func (c *Chip) acknowledge(f Fault) {
	switch f.Kind {
	case LostAck, HangUpAfter, Together:
		return
	case LateAck:
		c.o.Sleep(f.Delay)
	case Stale:
		c.say(c.last)
	}
	c.sayAs(f, append(f.before(), frame.AckFrame()...))
}

// answer sends the response as the fault has it, and carries out what waits for that.
func (c *Chip) answer(f Fault, code byte, response []byte, known bool) {
	raw := frame.SyntaxFrame()
	if known {
		var err error
		if raw, err = frame.Info(frame.ToHost, append([]byte{code + 1}, response...)); err != nil {
			panic(err) // no response is that long
		}
	}
	c.last = raw
	sent := slices.Clone(raw)
	switch f.Kind {
	case HangUpAfter:
		c.unplug()
		return
	case Silence:
		return
	case WrongLength:
		sent[4]++
	case WrongChecksum:
		sent[len(sent)-2]++
	case Truncated:
		sent = sent[:len(sent)-3]
	case Together:
		sent = append(frame.AckFrame(), sent...)
	}
	c.sayAs(f, append(f.before(), sent...))
	if f.Kind == Twice {
		c.say(raw)
	}
	if c.sleepNext {
		c.setRF(false)
		c.asleep, c.missed, c.lowPower, c.sleepNext = true, 0, true, false
	}
}

func (c *Chip) sayAs(f Fault, raw []byte) {
	if f.Kind != Bytewise {
		c.say(raw)
		return
	}
	for i := range raw {
		c.say(raw[i : i+1])
	}
}

// say sends bytes. What the host cannot hear is lost. The caller holds mu.
func (c *Chip) say(raw []byte) {
	if c.line == nil || c.line.baud() != c.baud || c.deafened() {
		return
	}
	c.pace(c.baud, len(raw))
	_ = c.line.write(raw) // whoever does not listen does not hear
}
