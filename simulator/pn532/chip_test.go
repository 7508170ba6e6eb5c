//go:build linux

package pn532_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.bug.st/serial"

	"github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

// host is a host that knows nothing of readers: bytes out, frames in.
type host struct {
	t     *testing.T
	port  serial.Port
	parse frame.Parser
}

func newHost(t *testing.T, c *pn532.Chip) *host {
	port, err := serial.Open(c.Path(), &serial.Mode{BaudRate: 115200})
	require.NoError(t, err)
	require.NoError(t, port.SetReadTimeout(10*time.Second))
	t.Cleanup(func() { port.Close() })
	return &host{t: t, port: port}
}

func unhex(t testing.TB, s string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return raw
}

func (h *host) write(raw []byte) {
	_, err := h.port.Write(raw)
	require.NoError(h.t, err)
}

func (h *host) next() frame.Frame {
	buf := make([]byte, 512)
	for {
		if f, ok := h.parse.Next(); ok {
			return f
		}
		n, err := h.port.Read(buf)
		require.NoError(h.t, err)
		require.NotZero(h.t, n, "the chip says nothing")
		h.parse.Push(buf[:n])
	}
}

// send sends a command by its bytes in hexadecimal, and wants the ACK.
func (h *host) send(command string) {
	raw, err := frame.Info(frame.ToChip, unhex(h.t, command))
	require.NoError(h.t, err)
	h.write(raw)
	require.Equal(h.t, frame.Ack, h.next().Kind)
}

// ask wants the response too.
func (h *host) ask(command, response string) {
	h.t.Helper()
	h.send(command)
	require.Equal(h.t, response, strings.ToUpper(hex.EncodeToString(h.next().Data)), command)
}

func (h *host) wake() { h.write(unhex(h.t, "5555 0000000000000000000000000000")) }

func newChip(t *testing.T, o pn532.Options) *pn532.Chip {
	c, err := pn532.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// echo is a card that says what it was told.
type echo struct{ powered, resets atomic.Int32 }

func (e *echo) Power(on bool) {
	if on {
		e.powered.Add(1)
	}
}
func (e *echo) Reset() { e.resets.Add(1) }
func (e *echo) Transmit(_ context.Context, command []byte) ([]byte, error) {
	return append(append([]byte{}, command...), 0x90, 0x00), nil
}

func TestTheChipAsHostsKnowIt(t *testing.T) {
	c := newChip(t, pn532.Options{Part: 4})
	h := newHost(t, c)
	h.write(unhex(t, "0000FF02FED4022A00")) // asleep: lost
	h.wake()
	h.write(unhex(t, "0000FF02FED4022A00")) // in low power: no answer
	h.ask("1401", "15")
	require.Equal(t, []byte{0x14}, c.Heard())
	h.ask("00 00 414243", "0100414243")
	h.ask("02", "0332010607")
	h.ask("04", "0500000080")
	h.ask("08 6302 7F 6305 01", "09")
	h.ask("06 6302 6305 6306", "077F0100")
	h.ask("12 14", "13")
	h.ask("32 05 FF 01 01", "33")
	h.ask("32 02 00 0B 0A", "33")
	h.ask("4A 01 00", "4B00")

	card := &echo{}
	c.Put(card, pn532.Target{UID: unhex(t, "04A1B2C3D4E580"), ATS: unhex(t, "0A788070022063CBA3A0")})
	h.ask("4A 01 00", "4B010103442007"+"04A1B2C3D4E580"+"0A788070022063CBA3A0")
	require.Equal(t, int32(1), card.powered.Load())
	h.ask("04", "050000010100001080")
	h.ask("4A 01 00", "4B00") // it is active: it does not answer to the call
	h.ask("40 01 0102", "410001029000")
	h.ask("40 41 AABB", "4100")
	h.ask("40 01 CC", "4140AABBCC90")
	h.ask("40 01", "410000")
	h.ask("40 02 00", "4127")
	h.ask("42 B2", "4300A3")
	h.ask("4E 01 02 02", "4F00")
	h.ask("00 06", "0100")
	h.ask("44 01", "4500")
	h.ask("54 01", "5527")
	h.ask("4A 02 00", "4B010103442007"+"04A1B2C3D4E580"+"0A788070022063CBA3A0")
	require.Equal(t, int32(1), card.resets.Load(), "a new activation is a new session")
	h.ask("52 00", "5300")
	h.ask("32 01 00", "33")
	c.Put(&echo{}, pn532.Target{TypeB: true, UID: unhex(t, "11223344")})
	h.ask("60 01 01 23", "610123"+"0F"+"01501122334400000000"+"0081710100")
	h.ask("16 20", "1700")
	h.wake()
	h.ask("1401", "15")

	for _, unknown := range []string{"0E 00", "40", "4A 03 00", "32 07", "60 00 01 20", "14 00", "10 09"} {
		h.send(unknown)
		require.Equal(t, frame.Syntax, h.next().Kind, unknown)
	}
}

func TestAHeldCommandEndsWhenACardComesOrTheHostSaysSo(t *testing.T) {
	c := newChip(t, pn532.Options{})
	h := newHost(t, c)
	h.wake()
	h.ask("1401", "15")
	h.send("4A 01 00") // endless, as after power-on
	h.write(frame.AckFrame())
	h.ask("02", "0332010607")
	h.send("4A 01 00")
	h.ask("02", "0332010607") // a new command drops the old one
	h.send("4A 01 00")
	c.Put(&echo{}, pn532.Target{})
	require.Equal(t, byte(0x4B), h.next().Data[0])
	h.write(frame.NackFrame())
	require.Equal(t, byte(0x4B), h.next().Data[0], "once more")
}

func TestPacedBytesTakeTheirTime(t *testing.T) {
	var slept time.Duration
	c, err := pn532.New(pn532.Options{Paced: true, Sleep: func(d time.Duration) { slept += d }})
	require.NoError(t, err)
	h := newHost(t, c)
	h.wake()
	h.ask("1401", "15")
	require.NoError(t, c.Close())
	// 16 + 10 bytes to the chip, 6 + 9 from it.
	require.InDelta(t, float64(41*10*time.Second)/115200, float64(slept), 10)
}

func TestThePlugAndItsLink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "pn532")
	c := newChip(t, pn532.Options{Link: link})
	_, err := os.Readlink(link)
	require.NoError(t, err)
	h := newHost(t, c)
	c.Unplug()
	c.Unplug()
	_, err = os.Lstat(link)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = h.port.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, h.port.Close())
	require.NoError(t, c.Plug())
	require.NoError(t, c.Plug(), "it is plugged in")
	_, err = os.Readlink(link)
	require.NoError(t, err)

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	_, err = pn532.New(pn532.Options{Link: file})
	require.ErrorContains(t, err, "not touched")
}
