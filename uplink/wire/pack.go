package wire

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

func pack(c Compression, plain []byte) []byte {
	if c == Compression_COMPRESSION_NONE {
		return plain
	}
	return encoder().EncodeAll(plain, nil)
}

func unpack(c Compression, payload []byte) ([]byte, error) {
	switch c {
	case Compression_COMPRESSION_NONE:
		if len(payload) > MaxPayload {
			return nil, malformed("payload of %d bytes: at most %d", len(payload), MaxPayload)
		}
		return payload, nil
	case Compression_COMPRESSION_ZSTD:
		plain, err := decoder().DecodeAll(payload, nil)
		if err != nil {
			return nil, malformed("payload: %w", err)
		}
		return plain, nil
	}
	return nil, malformed("compression %d", c)
}

// encoder is made once. A batch is small and the terminal's memory too, so its window is the least that holds a batch.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are fixed
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxPayload), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err) // the options are fixed
	}
	return d
})
