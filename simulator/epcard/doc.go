// Package epcard is a virtual ED/EP purse card (JR/T 0025.2, and T-Union by JT/T 978; 3DES and SM4): its files, counters, pending
// transaction, atomic commit and proofs, as purse facts chapters 3 and 4 give them.
//
// Start with [Card.Transmit], which any reader can stand in front of, and [Field], which puts a card into a field and
// takes it out at a chosen command. A card comes from [New] and an [Image], or from a file that keeps it between runs
// ([OpenFile]). Images with derived keys come from package personalise.
//
// Where cards differ, [Settings] says which kind this one is.
//
// Left out: making and erasing files, and grey-lock. Such commands answer 6D00.
package epcard
