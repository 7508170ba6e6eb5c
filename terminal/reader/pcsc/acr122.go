package pcsc

import (
	"fmt"
	"time"

	"github.com/purselane/purselane/terminal/reader"
)

// ACR122U names the escape commands of ACS's ACR122U and readers like it, in Options.Signals.
const ACR122U = "acr122u"

// checkSignals says whether a name of Options.Signals is known.
func checkSignals(name string) error {
	if name != "" && name != ACR122U {
		return fmt.Errorf("signals %q: want %s or nothing", name, ACR122U)
	}
	return nil
}

// Bits of the LED state (ACR122U API 2.04, 6.2, P2).
const (
	finalRed   = 1 << 0
	finalGreen = 1 << 1
	maskRed    = 1 << 2
	maskGreen  = 1 << 3
	blinkRed   = 1 << 4 // lit first while it blinks
	blinkGreen = 1 << 5
	flashRed   = 1 << 6 // blinks
	flashGreen = 1 << 7
)

// unit is what the reader counts times in; buzzOnT1 has the buzzer on while the light is.
const (
	unit     = 100 * time.Millisecond
	buzzOnT1 = 1
)

// acr122Signal is the pseudo-APDU that blinks a light and beeps with each blink (ACR122U API 2.04, 6.2). Amber is both lights. Afterwards both
// are off, which is what the reader shows while it waits. Its times are whole tenths of a second, upwards, and a beep is as long as the light: it has no time
// of its own. Without beeps nothing is asked of the buzzer.
func acr122Signal(s reader.Signal) []byte {
	var lights byte
	switch s.Light {
	case "green":
		lights = blinkGreen | flashGreen
	case "red":
		lights = blinkRed | flashRed
	default:
		lights = blinkRed | flashRed | blinkGreen | flashGreen
	}
	buzzer := byte(0)
	if s.Beep > 0 {
		buzzer = buzzOnT1
	}
	return []byte{0xFF, 0x00, 0x40, lights | maskRed | maskGreen, 0x04, tenths(s.On), tenths(s.Off), byte(min(max(s.Repeats, 1), 255)), buzzer}
}

// tenths is a time in the reader's unit: at least one, because it knows no blink of nothing.
func tenths(d time.Duration) byte { return byte(min(max((d+unit-1)/unit, 1), 255)) }

// acr122Quiet stops the reader's own beep when a card comes (ACR122U API 2.04, 6.7): that would be a sound without a meaning.
func acr122Quiet() []byte { return []byte{0xFF, 0x00, 0x52, 0x00, 0x00} }
