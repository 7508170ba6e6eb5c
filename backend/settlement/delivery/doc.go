// Package delivery brings acquirers the files of closed days: [Handler] lets them be fetched over HTTPS, and [Push] brings them to an SFTP
// server. What became of each file on each way is kept in the store. docs/settlement-files.md is its page.
package delivery
