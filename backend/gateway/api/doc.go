// Package api is the gateway's HTTP API for merchants' apps: the document in openapi.yaml, and the handlers that follow it. docs/gateway-api.md is the page for callers.
//
// Start with the document, then [New]. Whose a request is, package app finds out; what it must look like is not written a second time in Go: each is held against the document. The handlers translate between the
// document's words and package gateway; they decide nothing but whether the app may order for a merchant.
package api

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml
