package pn532

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

// Command codes.
const (
	cmdDiagnose          byte = 0x00
	cmdFirmware          byte = 0x02
	cmdSetBaud           byte = 0x10
	cmdSetParameters     byte = 0x12
	cmdSAMConfiguration  byte = 0x14
	cmdRFConfiguration   byte = 0x32
	cmdDataExchange      byte = 0x40
	cmdCommunicateThru   byte = 0x42
	cmdListPassiveTarget byte = 0x4A
)

const (
	// quick is the time for a command that does not use the field.
	quick = 100 * time.Millisecond
	// listWithin is the time for one look into the field: a few tries of 10 ms, and the card's own activation.
	listWithin = 300 * time.Millisecond
	// thruWithin is the time for one frame to a card and back; the chip gives up after 51 ms.
	thruWithin = 200 * time.Millisecond
	// fieldGuard is how long the field is off between two cards, and on before a card is asked (ISO/IEC 14443-3: 5 ms).
	fieldGuard = 6 * time.Millisecond
	// overloadRest is how long the antenna is off after the chip was too hot or drew too much.
	overloadRest = 10 * time.Second

	// freshEvery is after how many looks the field is switched off and on, for a card that lies in it in a state in which it does not
	// answer.
	freshEvery = 40

	openings = 2                          // of a port whose chip does not come up, before the reader is lost
	samTries = 3                          // of SAMConfiguration after the wake-up bytes
	maxPart  = frame.MaxLength - 3        // of an APDU in one command: identifier, code and target number go off
	maxTold  = apdu.MaxResponse + maxPart // of a card's whole answer
	icPN532  = 0x32                       // in the response to GetFirmwareVersion
	tryFast  = 3                          // failures of the line at the raised speed before it stays at StartBaud
)

// chipState is what is known of the chip.
type chipState int

const (
	down     chipState = iota // no port is open
	doubtful                  // the last command was stopped or lost
	ready                     // it does what it is told
)

// chip is the PN532 and the way to it. It belongs to whoever holds the reader's turn.
type chip struct {
	o    Options
	log  *slog.Logger
	open func(path string) (port, error)

	line     *line
	state    chipState
	firmware string
	slow     int       // failures at the raised speed since the port was opened anew
	field    bool      // on
	since    time.Time // when the field went on or off
	used     bool      // a card has been activated since the field went on
	hot      time.Time // the antenna rests until then
	epoch    uint64    // changes whenever a card that was active may not be so any more
	looks    int       // into the field
	trouble  int       // looks into the field that have failed in a row
}

// rungs of the ladder that brings the chip back: stop and echo, wake and set up, open the port anew.
const rungs = 3

// mend makes the chip ready. It climbs as far as it must: stop what it does and ask for an echo; wake it and set it up anew; open
// the port anew. The error says that it is not to be had, and why.
func (c *chip) mend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.line != nil && c.line.isDead() {
		c.drop(c.line.why)
	}
	if c.state == ready {
		return nil
	}
	if c.state == doubtful && c.trouble < rungs {
		if c.mendHere(ctx) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	c.drop(errors.New("it does not answer"))
	var err error
	for range openings {
		if err = c.openLine(); err != nil {
			return err
		}
		if err = c.bringUp(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		c.drop(err)
	}
	return err
}

// mendHere is the part of the ladder that keeps the port.
func (c *chip) mendHere(ctx context.Context) bool {
	c.line.abort()
	c.used = true // who knows what card is active
	c.epoch++
	if c.trouble < rungs-1 && c.echo(ctx) == nil {
		c.state = ready
		return true
	}
	if c.line.baud != StartBaud {
		c.slow++
	}
	for range 2 {
		if ctx.Err() != nil || c.line.isDead() {
			return false
		}
		err := c.bringUp(ctx)
		if err == nil {
			return true
		}
		c.log.Warn("PN532 does not come up", "port", c.o.Port, "err", err)
	}
	return false
}

// distrust has the chip mended from a rung higher than the last time: what it was mended to did not help.
func (c *chip) distrust() {
	c.trouble++
	if c.state == ready {
		c.state = doubtful
	}
}

func (c *chip) openLine() error {
	p, err := c.open(c.o.Port)
	if err != nil {
		return err
	}
	c.line = newLine(p, StartBaud)
	c.state = doubtful
	return nil
}

// drop closes the port.
func (c *chip) drop(why error) {
	if c.line == nil {
		return
	}
	if c.line.isDead() {
		c.slow = 0 // it was unplugged: what comes back may be better
	}
	c.log.Warn("PN532: port given up", "port", c.o.Port, "why", why)
	if err := c.line.close(); err != nil {
		c.log.Debug("close the port", "port", c.o.Port, "err", err)
	}
	c.line, c.state, c.field, c.used = nil, down, false, false
}

// bringUp wakes the chip and sets it up, whatever state and speed it was left in.
func (c *chip) bringUp(ctx context.Context) error {
	c.state = doubtful
	if err := c.wake(ctx); err != nil {
		return err
	}
	if err := c.echo(ctx); err != nil {
		return fmt.Errorf("line test: %w", err)
	}
	version, err := c.call(ctx, quick, cmdFirmware)
	if err != nil {
		return fmt.Errorf("GetFirmwareVersion: %w", err)
	}
	if len(version) < 4 || version[0] != icPN532 {
		return fmt.Errorf("the chip at %s is no PN532: it says % X", c.o.Port, version)
	}
	c.firmware = fmt.Sprintf("%d.%d", version[1], version[2])
	for _, command := range [][]byte{
		{cmdSetParameters, 0x14},               // RATS and ATR_RES by the chip itself
		{cmdRFConfiguration, 5, 0xFF, 0x01, 1}, // one look for a card has two tries, not endless ones
		{cmdRFConfiguration, 4, 0},             // an error on air is told at once
		{cmdRFConfiguration, 2, 0, 0x0B, 0x0A},
		{cmdRFConfiguration, 1, 0}, // a card that is there starts anew
	} {
		if _, err := c.call(ctx, quick, command...); err != nil {
			return fmt.Errorf("command % X: %w", command, err)
		}
	}
	c.field, c.since, c.used = false, time.Now(), false
	c.epoch++
	if err := c.speed(ctx); err != nil {
		return err
	}
	c.state = ready
	c.log.Info("PN532 is up", "port", c.o.Port, "firmware", c.firmware, "baud", c.line.baud)
	return nil
}

// wake wakes the chip at the speed that it may have: that of power-on, or the one that a program before has left. The rest of
// the bring-up is at the speed that it answered.
func (c *chip) wake(ctx context.Context) error {
	var err error
	speeds := []int{c.line.baud}
	for _, baud := range []int{StartBaud, c.o.Baud} {
		if !slices.Contains(speeds, baud) {
			speeds = append(speeds, baud)
		}
	}
	for _, baud := range speeds {
		if c.line.baud != baud {
			if err = c.line.setBaud(baud); err != nil {
				return err
			}
		}
		for range samTries {
			if _, err = c.line.send(awaken); err != nil {
				return err
			}
			_, err = c.line.ask(ctx, quick, cmdSAMConfiguration, 1)
			if err == nil || ctx.Err() != nil || c.line.isDead() {
				return err
			}
		}
	}
	return fmt.Errorf("no PN532 answers at %s: look at its power, at TX and RX being crossed, and at its switches being set to HSU: %w", c.o.Port, err)
}

// speed raises the line to the speed that is asked for, or takes it back to the first one where the line has not stood that. A chip that refuses is
// left as it is.
func (c *chip) speed(ctx context.Context) error {
	want := c.o.Baud
	if c.slow >= tryFast {
		want = StartBaud
	}
	if c.line.baud == want {
		return nil
	}
	was := c.line.baud
	switch _, err := c.call(ctx, quick, cmdSetBaud, baudCodes[want]); {
	case stageOf(err) == refused:
		c.log.Warn("PN532 refuses the baud rate", "port", c.o.Port, "baud", want, "stays", was)
		return nil
	case err != nil:
		return fmt.Errorf("SetSerialBaudRate: %w", err)
	}
	c.line.abort() // the host's ACK is what makes the chip change
	err := c.line.setBaud(want)
	if err == nil {
		err = c.echo(ctx)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	c.log.Warn("the line does not stand the baud rate", "port", c.o.Port, "baud", want, "err", err)
	if c.line.isDead() || want == StartBaud {
		return err
	}
	c.slow = tryFast
	if err := c.wake(ctx); err != nil {
		return err
	}
	if c.line.baud == StartBaud {
		return c.echo(ctx)
	}
	return c.speed(ctx) // it is still at the raised speed, and hears: take it down
}

// echo is the chip's line test.
func (c *chip) echo(ctx context.Context) error {
	sent := []byte{cmdDiagnose, 0x00, 'p', 'u', 'r', 's', 'e', 0x00, 0xFF, 0x55, 0xAA}
	got, err := c.call(ctx, quick, sent...)
	if err == nil && !slices.Equal(got, sent[1:]) {
		return fmt.Errorf("the PN532 echoed % X of % X", got, sent[1:])
	}
	return err
}

// call asks a command that can be asked again, and asks it again when it was not acknowledged.
func (c *chip) call(ctx context.Context, within time.Duration, command ...byte) (data []byte, err error) {
	for range resends {
		data, err = c.line.ask(ctx, within, command...)
		if stageOf(err) != notAcked || ctx.Err() != nil || c.line.isDead() {
			break
		}
	}
	c.doubt(err)
	return data, err
}

// doubt remembers that a command failed, other than by being refused or not begun.
func (c *chip) doubt(err error) {
	if s := stageOf(err); err != nil && (s == notAcked || s == noResponse || c.line.isDead()) {
		c.state = doubtful
	}
}

// stageOf is how far a command came; notWritten without an error.
func stageOf(err error) stage {
	if f := (*fault)(nil); errors.As(err, &f) {
		return f.stage
	}
	return notWritten
}

// setField switches the field on or off; it waits for no guard time.
func (c *chip) setField(ctx context.Context, on bool) error {
	var bit byte
	if on {
		bit = 1
	}
	if _, err := c.call(ctx, quick, cmdRFConfiguration, 1, bit); err != nil {
		return fmt.Errorf("switch the field: %w", err)
	}
	c.field, c.since, c.used = on, time.Now(), false
	c.epoch++
	return nil
}

// freshField gives the field in which no card has been activated yet. Between two looks into an empty field it does nothing.
func (c *chip) freshField(ctx context.Context) error {
	if c.field && !c.used {
		return nil
	}
	if c.field {
		if err := c.setField(ctx, false); err != nil {
			return err
		}
	}
	if err := wait(ctx, time.Until(c.since.Add(fieldGuard))); err != nil {
		return err
	}
	if err := c.setField(ctx, true); err != nil {
		return err
	}
	return wait(ctx, fieldGuard)
}

// look looks into the field once: for one card of type B, then for up to two of type A. Of several cards it says how many, as far as it
// saw.
func (c *chip) look(ctx context.Context) (target, int, error) {
	if c.looks++; c.looks%freshEvery == 0 {
		c.used = true
	}
	if err := c.freshField(ctx); err != nil {
		return target{}, 0, err
	}
	_, b, err := c.list(ctx, typeB, 1)
	if err == nil && b > 0 { // there may be one of type A beside it
		err = c.freshField(ctx)
	}
	if err != nil {
		return target{}, 0, err
	}
	found, a, err := c.list(ctx, typeA, 2)
	if err != nil || b == 0 || a > 0 {
		return found, a + b, err
	}
	if err := c.freshField(ctx); err != nil {
		return target{}, 0, err
	}
	return c.list(ctx, typeB, 1)
}

func (c *chip) list(ctx context.Context, kind, most byte) (target, int, error) {
	command := []byte{cmdListPassiveTarget, most, kind}
	if kind == typeB {
		command = append(command, 0x00) // any application family
	}
	// It is not asked again within this look: the first time may have activated the card, which would then not answer.
	data, err := c.line.ask(ctx, listWithin, command...)
	c.doubt(err)
	if err != nil {
		c.used = true
		return target{}, 0, fmt.Errorf("InListPassiveTarget: %w", err)
	}
	t, n, err := parseTargets(kind, data)
	c.used = c.used || n > 0 || err != nil
	return t, n, err
}

// present asks the card of an open session whether it is there, by an R(NAK) block: whatever it answers, the session goes on as it was.
func (c *chip) present(ctx context.Context) (bool, error) {
	for range 2 {
		data, err := c.call(ctx, thruWithin, cmdCommunicateThru, 0xB2)
		if err != nil {
			return false, err
		}
		if len(data) > 0 && status(data[0]&statusMask) == good {
			return true, nil
		}
	}
	return false, nil
}

// exchange carries one APDU to a card of ISO/IEC 14443-4. Its error is ErrNotSent or ErrNoAnswer.
func (c *chip) exchange(ctx context.Context, number byte, command []byte) ([]byte, error) {
	end := time.Now().Add(c.o.Timeout)
	for len(command) > maxPart {
		// A card that has not got the last part has no command, whatever became of this one.
		if _, _, err := c.part(ctx, end, number|more, command[:maxPart]); err != nil {
			return nil, fmt.Errorf("%w: a part before the last: %w", apdu.ErrNotSent, err)
		}
		command = command[maxPart:]
	}
	data, again, err := c.part(ctx, end, number, command)
	if f := (*fault)(nil); errors.As(err, &f) && (f.stage == notWritten || f.stage == refused) {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	answer := data
	for err == nil && again && len(answer) <= maxTold {
		data, again, err = c.part(ctx, end, number, nil)
		answer = append(answer, data...)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", apdu.ErrNoAnswer, err)
	case len(answer) < 2 || len(answer) > apdu.MaxResponse:
		return nil, fmt.Errorf("%w: response of %d bytes", apdu.ErrNoAnswer, len(answer))
	}
	return answer, nil
}

// part is one InDataExchange. It is never sent twice: that would be the card's command twice.
func (c *chip) part(ctx context.Context, end time.Time, number byte, data []byte) (answer []byte, again bool, err error) {
	response, err := c.line.ask(ctx, time.Until(end), slices.Concat([]byte{cmdDataExchange, number}, data)...)
	c.doubt(err)
	if err != nil {
		return nil, false, err
	}
	if len(response) == 0 {
		return nil, false, errors.New("InDataExchange: response without status")
	}
	switch s := status(response[0] & statusMask); {
	case s.overloaded():
		c.hot = time.Now().Add(overloadRest)
		return nil, false, s
	case s != good:
		return nil, false, s
	case response[0]&withNAD != 0:
		return nil, false, errors.New("InDataExchange: a node address that nobody asked for")
	}
	return response[1:], response[0]&more != 0, nil
}

// leave leaves the chip as the next program expects it: no field, the first speed. Then it closes the port.
func (c *chip) leave(ctx context.Context) error {
	if c.line == nil {
		return nil
	}
	var err error
	if c.state == ready && !c.line.isDead() {
		err = c.setField(ctx, false)
		if err == nil && c.line.baud != StartBaud {
			if _, err = c.call(ctx, quick, cmdSetBaud, baudCodes[StartBaud]); err == nil {
				c.line.abort()
				err = c.line.port.Drain()
			}
		}
	}
	if c.line.isDead() {
		err = nil // there is nothing to leave
	}
	err = errors.Join(err, c.line.close())
	c.line, c.state = nil, down
	return err
}
