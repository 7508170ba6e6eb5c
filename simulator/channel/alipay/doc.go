// Package alipay is a stateful Alipay for one merchant, over HTTP: it verifies the app's signatures, keeps trades and refunds with their
// states, ends and limits, lets payers scan and pay, signs its answers and notifications and sends these on the real schedule, and packs the
// bill of each day. Package simulator/channel brings the faults.
//
// As with the real one a trade comes into being when a payer scans the QR code or opens the page: until then it is not known, but it can be
// paid. Start with [New]; [Simulator.Settings] are the settings of the adapter that is its merchant. Time is the clock that is handed in:
// move it and call [Simulator.Run].
package alipay
