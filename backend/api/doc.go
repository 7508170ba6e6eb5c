// Package api is the backend's HTTP API: the document in openapi.yaml, and the handlers that follow it.
//
// Start with the document, then [New]. What a request must look like and who may make it is not written a second time in
// Go: each request is held against the document, and `x-roles` there says whose an operation is. The handlers translate
// between the document's words and packages topup, store and settlement; they decide nothing. docs/api.md is the page for
// integrators.
//
// A card number comes in request bodies only. It is in no URL, answer or log: what a client put into a URL is neither
// logged nor said back.
package api

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml
