// Package recurring says when an agreement's payments are due and what is to be done about each: looked after, charged, asked about, given up. It is
// pure: [Agreement.Next] is told what has happened and the time, and says one thing to do or until when to wait; [Apply] says what has happened after an event.
//
// Periods are natural months counted from the agreement's first day, never from the period before: what began on 31 January is due on the last day of
// February and on 31 March. A payment whose end nobody knows is asked about; no other is made beside it.
package recurring
