// Package node is one whole backend in one process: broker, intake, books, top-up, API and page, wired together.
//
// Start with [Open], which starts nothing but the database, and [Node.Run], which serves until its context ends. What a
// scheme's operator writes is a [Scheme]; [ParseScheme] reads it and reports every fault at once. Keys come in as
// interfaces or values: the package reads no key file.
package node
