// Package assess puts the rules of package risk behind the gateway's port: it gathers the facts of an attempt to pay, counts it, decides, and tells the
// gateway pass, challenge or block. Asked again about the same attempt it counts nothing twice.
package assess
