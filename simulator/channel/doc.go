// Package channel is what the simulators of payment channels share: faults by seed ([Weather]), notifications on a schedule of the channel's
// own ([Notifier]), and an HTTP client that reaches a handler without a network ([Doer]). Time is a clock that is handed in, and nothing here
// sleeps unless it is told how, so a test moves the clock and calls [Notifier.Run].
//
// A simulator (a package below this one) is an http.Handler that verifies signatures as the real channel does and keeps its orders. It asks
// [Weather.Draw] once for each request, obeys the [Fate] it gets, and hands its notifications to a [Notifier]. Package channeltest holds
// the suite that every adapter passes against its simulator.
//
// Imported beside backend/gateway/channel it is called sim.
package channel
