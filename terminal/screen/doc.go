// Package screen is the pages a terminal shows to riders and shopkeepers: a validator, a gate and a till. They come from the binary and need nothing but
// the terminal's own API, so they work with no network. docs/terminal-screens.md is their page.
package screen
