package api

import (
	"context"
	_ "embed" // the document
	"errors"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

//go:embed openapi.yaml
var documentYAML []byte

// operation is one operation of the document, as the gate before its handler needs it.
type operation struct {
	id    string
	route *routers.Route
	roles []Role // none: anyone, without a token
	body  bool   // it takes a JSON body
}

// document is the parsed openapi.yaml.
type document struct {
	spec       *openapi3.T
	operations map[string]operation // by "METHOD /path", as ServeMux has it
}

// theDocument is read once: it is part of the program.
var theDocument = sync.OnceValues(loadDocument)

func loadDocument() (*document, error) {
	spec, err := openapi3.NewLoader().LoadFromData(documentYAML)
	if err != nil {
		return nil, fmt.Errorf("api: read openapi.yaml: %w", err)
	}
	if err := spec.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	d := &document{spec: spec, operations: map[string]operation{}}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			roles, err := rolesOf(op)
			if err != nil {
				return nil, fmt.Errorf("api: openapi.yaml: %s: %w", op.OperationID, err)
			}
			d.operations[method+" "+path] = operation{id: op.OperationID, roles: roles, body: op.RequestBody != nil,
				route: &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: op}}
		}
	}
	return d, nil
}

// rolesOf reads x-roles. An operation is open to anyone only if it says so by an empty security list, so that one that
// forgets its roles is refused instead of being public.
func rolesOf(op *openapi3.Operation) ([]Role, error) {
	public := op.Security != nil && len(*op.Security) == 0
	list, _ := op.Extensions["x-roles"].([]any)
	switch {
	case public && len(list) > 0:
		return nil, errors.New("public, and has x-roles")
	case !public && len(list) == 0:
		return nil, errors.New("has no x-roles")
	}
	var roles []Role
	for _, v := range list {
		s, _ := v.(string)
		if r := Role(s); r != Operator && r != Agent {
			return nil, fmt.Errorf("x-roles: %v: want %s or %s", v, Operator, Agent)
		}
		roles = append(roles, Role(s))
	}
	return roles, nil
}
