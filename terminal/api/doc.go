// Package api is a terminal's local HTTP API: status and health, events as they happen, a till's sales, and what a field engineer does
// at the device. docs/terminal-api.md is its page, openapi.yaml its document.
//
// Start with [New]. It listens on loopback or a unix socket unless it has a token, see [Listen]. The handlers decide nothing about
// money: package edge does.
package api
