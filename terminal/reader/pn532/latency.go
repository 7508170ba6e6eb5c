package pn532

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ttyClass is where Linux shows the settings of serial ports.
const ttyClass = "/sys/class/tty"

// lowLatency asks a USB adapter to hand over received bytes at once, and returns the milliseconds that it holds them for; 0 where an
// adapter has no such setting. FTDI chips hold them for 16 ms unless told otherwise, and each exchange pays that twice.
func lowLatency(class, path string) (int, error) {
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return 0, err
	}
	setting := filepath.Join(class, filepath.Base(device), "device", "latency_timer")
	raw, err := os.ReadFile(setting)
	if err != nil {
		return 0, nil // no such setting: no such chip
	}
	held, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || held <= 1 {
		return held, err
	}
	if err := os.WriteFile(setting, []byte("1"), 0o644); err != nil {
		return held, fmt.Errorf("%w: make it writable for the terminal's user, or have a udev rule set it to 1", err)
	}
	return 1, nil
}
