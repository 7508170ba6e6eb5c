// Package openapi holds requests to a server against the document that its callers have (OpenAPI 3.0).
package openapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Check holds a request against its operation: parameters, body, unknown fields. It returns "" where it fits, and else where it leaves the document, without its values and without
// names that the caller made up. The path's parameters are those that the multiplexer found; who calls is not looked at. After it the body can be read again if it has GetBody.
func Check(r *http.Request, route *routers.Route) string {
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: map[string]string{}, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true}}
	for _, name := range pathParams(route.Path) {
		in.PathParams[name] = r.PathValue(name)
	}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		return whatIsWrong(err)
	}
	return ""
}

// pathParams are the names in braces of a path.
func pathParams(path string) []string {
	var out []string
	for part := range strings.SplitSeq(path, "/") {
		if name, is := strings.CutPrefix(part, "{"); is {
			out = append(out, strings.TrimSuffix(name, "}"))
		}
	}
	return out
}

func whatIsWrong(err error) string {
	where := "the request"
	if e, is := errors.AsType[*openapi3filter.RequestError](err); is {
		switch {
		case e.Parameter != nil:
			where = "parameter " + e.Parameter.Name
		case e.RequestBody != nil:
			where = "the body"
		}
	}
	e, is := errors.AsType[*openapi3.SchemaError](err)
	switch {
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		return where + ": is missing"
	case !is:
		return where + ": cannot be read"
	}
	if path := e.JSONPointer(); len(path) > 0 {
		where += ", /" + strings.Join(path, "/")
	}
	if e.SchemaField == "properties" {
		return where + ": holds a field that the document does not know"
	}
	return where + ": " + e.Reason
}
