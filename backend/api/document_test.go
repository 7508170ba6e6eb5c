package api_test

import (
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestThePageHasTheVersionOfTheDocument: docs/api.md names major and minor version of openapi.yaml.
func TestThePageHasTheVersionOfTheDocument(t *testing.T) {
	spec, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	version := spec.Info.Version[:strings.LastIndex(spec.Info.Version, ".")]
	require.Contains(t, string(page), "\nVersion "+version+". ")
}
