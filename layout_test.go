package purselane_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/purselane/purselane/"

// may is the import table of ARCHITECTURE.md: which top folder may import which. To add an arrow, add it here and say
// why in DECISIONS.md.
var may = map[string][]string{
	"internal":        {},
	"card":            {"internal"},
	"firmware-config": {"internal"},
	"uplink":          {"internal"},
	"terminal":        {"internal", "card", "firmware-config", "uplink"},
	"shadowaccount":   {"internal", "card"},
	"backend":         {"internal", "card", "firmware-config", "uplink", "shadowaccount"},
	"simulator":       {"internal", "card", "firmware-config", "uplink", "terminal", "shadowaccount", "backend"},
	"cmd":             {"internal", "card", "firmware-config", "uplink", "terminal", "shadowaccount", "backend", "simulator"},
}

// goFiles calls f with each Go file of ours that is built into the product: no tests, no testdata.
func goFiles(t *testing.T, f func(path, folder string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		folder, _, found := strings.Cut(filepath.ToSlash(path), "/")
		if !found {
			return nil
		}
		f(path, folder)
		return nil
	})
	require.NoError(t, err)
}

func imports(t *testing.T, path string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	require.NoError(t, err)
	var out []string
	for _, im := range f.Imports {
		out = append(out, strings.Trim(im.Path.Value, `"`))
	}
	return out
}

// TestWhoImportsWhom keeps the arrows between the top folders one-way.
func TestWhoImportsWhom(t *testing.T) {
	files := 0
	goFiles(t, func(path, from string) {
		files++
		allowed, known := may[from]
		if !known {
			t.Errorf("%s: %s is no folder of the import table", path, from)
			return
		}
		for _, im := range imports(t, path) {
			rest, ours := strings.CutPrefix(im, module)
			to, _, _ := strings.Cut(rest, "/")
			if ours && to != from && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: %s may import only %v", path, rest, from, allowed)
			}
		}
	})
	require.Greater(t, files, 50, "the walk has lost the tree")
}

// TestPureFoldersStayPure keeps I/O, clocks and chance out of the packages that decide.
func TestPureFoldersStayPure(t *testing.T) {
	banned := map[string]string{
		"os":            "the edge reads files and hands the bytes in",
		"net":           "the edge talks; the core decides",
		"net/http":      "the edge talks; the core decides",
		"math/rand":     "chance is an input",
		"math/rand/v2":  "chance is an input",
		"database/sql":  "the store is the backend's",
		"os/exec":       "the edge runs programs",
		"path/filepath": "the edge knows files",
	}
	pure := []string{"card/apdu", "card/tlv", "card/ep", "card/ec", "card/desfire", "card/purse", "card/trace", "shadowaccount", "firmware-config/fare", "terminal/tap", "internal/money", "internal/ids", "internal/bcd"}
	goFiles(t, func(path, _ string) {
		slash := filepath.ToSlash(path)
		if !slices.ContainsFunc(pure, func(p string) bool { return strings.HasPrefix(slash, p+"/") }) {
			return
		}
		for _, im := range imports(t, path) {
			if why, bad := banned[im]; bad {
				t.Errorf("%s imports %s: %s", path, im, why)
			}
		}
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.Contains(string(src), "time.Now(") {
			t.Errorf("%s reads the clock: the core is told the time", path)
		}
	})
}

// TestTheTapKnowsNoCardFamily: what a family's cards want stands in its driver, and the tap speaks to drivers.
func TestTheTapKnowsNoCardFamily(t *testing.T) {
	families := []string{"card/ep", "card/ec", "card/desfire", "card/keys", "card/purse/"}
	files := 0
	goFiles(t, func(path, _ string) {
		if !strings.HasPrefix(filepath.ToSlash(path), "terminal/tap/") {
			return
		}
		files++
		for _, im := range imports(t, path) {
			if rest, ours := strings.CutPrefix(im, module); ours && slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(rest, f) }) {
				t.Errorf("%s imports %s: say it in card/purse, and do it in the family's driver", path, rest)
			}
		}
	})
	require.Greater(t, files, 5, "the walk has lost the tap")
}

// TestEveryPackageSaysWhatItIs wants one package comment in each package that is built.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	has := map[string]bool{}
	goFiles(t, func(path, _ string) {
		dir := filepath.Dir(path)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		generated := strings.HasSuffix(path, ".pb.go") || strings.HasSuffix(path, ".gen.go")
		has[dir] = has[dir] || f.Doc != nil && !generated
	})
	for dir, ok := range has {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// forbidden are words that would tie the project to one machine or one workplace.
var forbidden = []string{"/" + "work/", ".lib" + "rary", "../" + "shared"}

// TestNoWordOfOneMachine looks for paths of a developer's machine in every tracked text file.
func TestNoWordOfOneMachine(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path == ".git" || d.Name() == "bin" || d.Name() == "artifacts" || d.Name() == "rapid" {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Size() > 1<<20 {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range forbidden {
			if strings.Contains(string(src), w) {
				t.Errorf("%s contains %q", path, w)
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// TestOneServiceRoutes: what decides about channels reads no store, and the tables of channels are read and moved by one service and its tools: everybody else asks that.
func TestOneServiceRoutes(t *testing.T) {
	rows := regexp.MustCompile(`\.(ChannelStates|MoveChannel|ChannelMoves|ChannelIncidents|CloseIncident|ChannelDecisions|AddChannelDecisions|ChannelSamples|AddChannelSamples|ChannelSpent|ChannelArms|FoldChannelArms|ChannelExperiments)\(`)
	may := []string{"backend/store/", "backend/gateway/keeper/", "backend/gateway/selfheal/", "backend/gateway/panel/", "backend/node/", "cmd/purselane/"}
	uses := 0
	goFiles(t, func(path, _ string) {
		slash := filepath.ToSlash(path)
		if strings.HasPrefix(slash, "backend/gateway/route/") || strings.HasPrefix(slash, "backend/gateway/health/") {
			require.NotContains(t, imports(t, path), module+"backend/store", "%s: routing and health are told what they need, and live without a database", path)
		}
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		if !rows.Match(src) {
			return
		}
		uses++
		if !slices.ContainsFunc(may, func(p string) bool { return strings.HasPrefix(slash, p) }) {
			t.Errorf("%s reads or moves channels in the store: ask package selfheal or keeper", path)
		}
	})
	require.Greater(t, uses, 5, "the methods have other names")
}
