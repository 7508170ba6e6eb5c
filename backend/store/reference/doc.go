// Package reference says what a store must hold, as plainly as it can be said: it keeps the set of everything that was told and
// works the end state out from nothing, with no thought of speed and no memory of what it said before.
//
// Start with [Model.State]. Stores post differences, group by group, and read only what a group touches; this package does neither, so the
// two agree only if the difference was the right one. storetest holds every engine against it. The rules themselves
// (shadowaccount) are shared: they have their own tests.
//
// What a store keeps of the way in which things came is no part of the state, because it may differ between histories of one set:
//
//   - a record's label (LATE, STALE, SAME …), and its verdict, which is its tap's status of the moment it was posted;
//   - the clearing day and time of arrival, of records and taps;
//   - the number, size and hash of posting groups, and the entries of each;
//   - which holes were given up as lost, and when.
//
// Two orders do count, and whoever compares histories must keep them: of two contents of one record number the first to come is the
// record, and a card's loads follow each other, as do its issue and its loads. A terminal's merchant, the family of a card, and kind and rule of a
// tap are taken to be the same in all records.
package reference
