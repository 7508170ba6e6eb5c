// Package keeper runs the health of channels in a process: it feeds the board of package health with what calls came to, keeps each move in the
// store, where of many that ask for one change one is kept, takes over what other processes have kept, and lets the world know.
//
// [Keeper.Share] is what routing asks: it reads memory and waits for nobody. When the store is away the board goes on by itself, and what it did
// is brought to the store when that is back; where another process has moved the channel meanwhile, that stands.
package keeper
