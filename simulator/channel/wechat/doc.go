// Package wechat is a stateful WeChat Pay for one merchant, over HTTP: it verifies the merchant's signatures, keeps orders and refunds with
// their states, ends and limits, lets payers pay, signs and seals its notifications and sends them on the real schedule, and makes the bill
// of each day. Package simulator/channel brings the faults.
//
// Start with [New]; [Simulator.Settings] are the settings of the adapter that is its merchant. Time is the clock that is handed in: move it
// and call [Simulator.Run].
package wechat
