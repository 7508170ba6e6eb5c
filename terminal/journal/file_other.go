//go:build !linux

package journal

import "os"

// tryLock leaves the lock to bbolt.
func tryLock(*os.File) (bool, error) { return true, nil }

// letGo closes a file that bbolt has mapped and will not unmap any more.
func letGo(f *os.File) error { return f.Close() }

// reserveBlocks gives the bytes [from, to) of the file their place on the disk.
func reserveBlocks(f *os.File, from, to int64) error { return writeZeros(f, from, to) }

// syncData syncs a file.
func syncData(f *os.File) error { return f.Sync() }
