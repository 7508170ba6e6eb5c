package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leastError is added to what the kernel says of its error: systemd-timesyncd sets that to nothing at each answer, whatever its way took.
const leastError = 200 * time.Millisecond

// machine is the Linux machine as the timekeeper sees it.
type machine struct{ spare stopwatch }

func newMachine() machine { return machine{newStopwatch()} }

// Elapsed is the kernel's stopwatch since its start; it counts while the machine sleeps.
func (m machine) Elapsed() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return m.spare.elapsed() // a kernel without it never has it
	}
	return time.Duration(ts.Nano())
}

// Wall is the machine's clock.
func (machine) Wall() time.Time { return time.Now() }

// Kept asks the kernel whether something keeps its clock, and how wrong it may be.
func (machine) Kept() (at time.Time, bound time.Duration, kept bool) {
	var x unix.Timex
	state, err := unix.Adjtimex(&x)
	if err != nil || state == unix.TIME_ERROR {
		return at, 0, false
	}
	part := time.Duration(x.Time.Usec) * time.Microsecond
	if x.Status&unix.STA_NANO != 0 {
		part = time.Duration(x.Time.Usec)
	}
	return time.Unix(int64(x.Time.Sec), int64(part)), time.Duration(x.Maxerror)*time.Microsecond + leastError, true
}

// RTC is the first RTC of the machine.
func (machine) RTC() int64 {
	s, err := strconv.ParseInt(readWord("/sys/class/rtc/rtc0/since_epoch"), 10, 64)
	if err != nil || s < 0 {
		return 0
	}
	return s
}

// Boot is the kernel's name of this boot.
func (machine) Boot() string { return readWord("/proc/sys/kernel/random/boot_id") }

// readWord is the kernel's file of one word; empty if there is none.
func readWord(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}
