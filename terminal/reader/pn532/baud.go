package pn532

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// baudCodes are the speeds that SetSerialBaudRate knows and a serial port can have.
var baudCodes = map[int]byte{9600: 0, 19200: 1, 38400: 2, 57600: 3, 115200: 4, 230400: 5, 460800: 6, 921600: 7}

// CheckBaud refuses a baud rate that a PN532 does not have. 0 stands for DefaultBaud.
func CheckBaud(baud int) error {
	if _, known := baudCodes[baud]; baud != 0 && !known {
		return fmt.Errorf("baud rate %d: want one of %v", baud, slices.Sorted(maps.Keys(baudCodes)))
	}
	return nil
}

// wire is how long n bytes are on the line: ten bits each.
func wire(n, baud int) time.Duration {
	return time.Duration(n) * 10 * time.Second / time.Duration(baud)
}
