package pcsc

import "fmt"

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

const (
	unit100ms = 1 // of T1 and T2: 100 ms
	buzzOnT1  = 1
)

// acr122Signal is the pseudo-APDU that blinks a light and beeps with each blink (ACR122U API 2.04, 6.2). Amber is both lights. Afterwards both
// are off, which is what the reader shows while it waits. Without beeps nothing is asked of the buzzer.
func acr122Signal(light string, beeps int) []byte {
	var lights byte
	switch light {
	case "green":
		lights = blinkGreen | flashGreen
	case "red":
		lights = blinkRed | flashRed
	default:
		lights = blinkRed | flashRed | blinkGreen | flashGreen
	}
	blinks, buzzer := byte(max(beeps, 1)), byte(buzzOnT1)
	if beeps == 0 {
		buzzer = 0
	}
	return []byte{0xFF, 0x00, 0x40, lights | maskRed | maskGreen, 0x04, unit100ms, unit100ms, blinks, buzzer}
}

// acr122Quiet stops the reader's own beep when a card comes (ACR122U API 2.04, 6.7): that would be a sound without a meaning.
func acr122Quiet() []byte { return []byte{0xFF, 0x00, 0x52, 0x00, 0x00} }
