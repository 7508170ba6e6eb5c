package screen_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/screen"
	"github.com/purselane/purselane/terminal/tap"
)

func TestTextsAreWhole(t *testing.T) {
	for _, lang := range screen.Languages {
		m := screen.Default()[lang]
		require.NotNil(t, m, lang)
		for _, key := range screen.Keys() {
			require.NotEmpty(t, m[key], "%s: %s", lang, key)
		}
		require.Len(t, m, len(screen.Keys()), "%s has a text that no page asks for", lang)
	}
	require.Contains(t, screen.Keys(), tap.OneCardPlease.String())
}

func TestOwnTexts(t *testing.T) {
	texts, err := screen.Default().With(screen.Texts{"en": {"granted": "Welcome aboard"}})
	require.NoError(t, err)
	require.Equal(t, "Welcome aboard", texts["en"]["granted"])
	require.Equal(t, "请通行", texts["zh"]["granted"])
	require.Equal(t, "Go", screen.Default()["en"]["granted"], "the defaults are as they were")

	_, err = screen.Default().With(screen.Texts{"en": {"grantd": "x"}, "pt": {"granted": "Boa viagem"}})
	require.ErrorContains(t, err, `en: no text is called "grantd"`)
	require.ErrorContains(t, err, `pt: "refused-balance" is missing`)
}

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	screen.New(screen.Default()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	return w
}

// TestPagesNeedNobodyElse looks for anything that a page would fetch from elsewhere.
func TestPagesNeedNobodyElse(t *testing.T) {
	outside := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]`)
	for _, path := range []string{"/", "/gate", "/till", "/static/screen.js", "/static/till.js", "/static/screen.css"} {
		w := get(t, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		body := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		require.Empty(t, outside.FindAllString(body, -1), path)
		for _, used := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			require.Equal(t, http.StatusOK, get(t, used[1]).Code, used[1])
		}
	}
	require.Equal(t, http.StatusNotFound, get(t, "/nothing").Code)
	var texts screen.Texts
	require.NoError(t, json.Unmarshal(get(t, "/static/texts.json").Body.Bytes(), &texts))
	require.Equal(t, screen.Default(), texts)
}
