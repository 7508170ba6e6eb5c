// Package storetest holds a store to what every engine must do, and to package reference.
//
// Start with [Run]: a test of an engine is one call of it. It makes random histories of a few cards (clones, replays, gaps, forged and lost
// proofs, taps that nobody answers for, loads in between, cards of every family, issued and never issued), lets their
// records arrive in random ways (shuffled, split, doubled, days late), and asks for the end state that the set of records has, from one
// poster and from several with a share of the lanes each. It lets the backend die before and after every commit, by an error and by a real
// kill, and wants the same end. It closes clearing days over such histories and proves each. And it tries the small operations that terminals and officers rely on.
//
// Everything comes out of a seed, which a failure names; a failing history is cut down to what is needed to fail.
// How many histories are tried is said by the test's flag -histories (make test-orders HISTORIES=10000).
package storetest
