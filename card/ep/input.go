package ep

import (
	"encoding/binary"

	"github.com/purselane/purselane/internal/money"
)

// The inputs of every session key, MAC and TAC of purchase, load, unload and overdraft limit (purse facts 6.4 and 6.5). Each function returns
// the bytes before padding. Amounts must have passed PutAmount; these panic on one that has not, because a MAC over a
// truncated amount would be a forged one.

func amount4(a money.Amount) []byte {
	var b [4]byte
	if err := PutAmount(b[:], a); err != nil {
		panic(err)
	}
	return b[:]
}

func be16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func cat(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make([]byte, 0, n)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// PurchaseSession is the data that the purchase key turns into the session key: card random, offline counter before
// the debit, low two bytes of the terminal transaction serial.
func PurchaseSession(random [4]byte, counter uint16, terminalSerial uint32) (s [8]byte) {
	copy(s[:], cat(random[:], be16(counter), be16(uint16(terminalSerial))))
	return s
}

// LoadSession is the same for a load, an unload and an overdraft limit: card random, online counter before, 8000.
func LoadSession(random [4]byte, counter uint16) (s [8]byte) {
	copy(s[:], cat(random[:], be16(counter), []byte{0x80, 0x00}))
	return s
}

// PurchaseMAC1 is amount, type, terminal, date and time (18 bytes).
func PurchaseMAC1(amount money.Amount, kind Type, term TerminalNumber, at DateTime) []byte {
	return cat(amount4(amount), []byte{byte(kind)}, term[:], at[:])
}

// PurchaseMAC2 is the amount (4 bytes).
func PurchaseMAC2(amount money.Amount) []byte { return amount4(amount) }

// PurchaseTAC is amount, type, terminal, terminal transaction serial, date and time (22 bytes).
func PurchaseTAC(amount money.Amount, kind Type, term TerminalNumber, serial uint32, at DateTime) []byte {
	return cat(amount4(amount), []byte{byte(kind)}, term[:], be32(serial), at[:])
}

// LoadMAC1 is balance before, amount, type, terminal (15 bytes).
func LoadMAC1(before, amount money.Amount, kind Type, term TerminalNumber) []byte {
	return cat(amount4(before), amount4(amount), []byte{byte(kind)}, term[:])
}

// LoadMAC2 is amount, type, terminal, host date and time (18 bytes).
func LoadMAC2(amount money.Amount, kind Type, term TerminalNumber, at DateTime) []byte {
	return PurchaseMAC1(amount, kind, term, at)
}

// LoadTAC is balance after, online counter before the load, amount, type, terminal, date and time (24 bytes).
func LoadTAC(after money.Amount, counter uint16, amount money.Amount, kind Type, term TerminalNumber, at DateTime) []byte {
	return cat(amount4(after), be16(counter), amount4(amount), []byte{byte(kind)}, term[:], at[:])
}

// CityMAC1 is PurchaseMAC1 and the code that the card gave to GET MESSAGE (27 bytes, conflict C13).
func CityMAC1(amount money.Amount, kind Type, term TerminalNumber, at DateTime, code CityCode) []byte {
	return cat(PurchaseMAC1(amount, kind, term, at), code[:])
}

// UnloadMAC1 is balance before, amount, type, terminal (15 bytes).
func UnloadMAC1(before, amount money.Amount, term TerminalNumber) []byte {
	return LoadMAC1(before, amount, TypeUnload, term)
}

// UnloadMAC2 is amount, type, terminal, host date and time (18 bytes).
func UnloadMAC2(amount money.Amount, term TerminalNumber, at DateTime) []byte {
	return LoadMAC2(amount, TypeUnload, term, at)
}

// UnloadMAC3 is balance after, online counter before, amount, type, terminal, date and time (24 bytes), under the session key.
func UnloadMAC3(after money.Amount, counter uint16, amount money.Amount, term TerminalNumber, at DateTime) []byte {
	return LoadTAC(after, counter, amount, TypeUnload, term, at)
}

// MaxLimit is the largest overdraft limit three bytes carry.
var MaxLimit = money.Minor(0xFFFFFF)

func limit3(limit money.Amount) []byte {
	if limit.Sign() < 0 || limit.Cmp(MaxLimit) > 0 {
		panic("ep: overdraft limit does not fit three bytes")
	}
	return amount4(limit)[1:]
}

// LimitMAC1 is balance before, limit before, type, terminal (14 bytes).
func LimitMAC1(before, limit money.Amount, term TerminalNumber) []byte {
	return cat(amount4(before), limit3(limit), []byte{byte(TypeEDLimit)}, term[:])
}

// LimitMAC2 is new limit, type, terminal, host date and time (17 bytes).
func LimitMAC2(limit money.Amount, term TerminalNumber, at DateTime) []byte {
	return cat(limit3(limit), []byte{byte(TypeEDLimit)}, term[:], at[:])
}

// LimitTAC is balance after, online counter before, new limit, type, terminal, date and time (23 bytes).
func LimitTAC(after money.Amount, counter uint16, limit money.Amount, term TerminalNumber, at DateTime) []byte {
	return cat(amount4(after), be16(counter), limit3(limit), []byte{byte(TypeEDLimit)}, term[:], at[:])
}
