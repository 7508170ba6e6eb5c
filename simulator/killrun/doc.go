// Package killrun holds one test: a real process that sells loads dies by kill -9, again and again, and whoever starts it the next time finds every cent. The
// process is a backend with its gateway, its kiosk and the card that lies on it; the payment channel, the rider's phone and the clock live outside it and go on.
//
// Start with TestAKilledProcessLosesNothing (kill_test.go). It dies at numbered points: before and after each commit, each call of the channel, each call of the
// backend by the kiosk, each command to the card. `make test-kill` takes every point, and random ones under bad weather. The package has no code of its own.
package killrun
