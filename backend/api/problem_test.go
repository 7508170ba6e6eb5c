package api_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/shadowaccount/books"
)

// problems is the table of errors and what they are answered with, written out a second time.
var problems = map[string]struct {
	err    error
	status int
	code   string
}{
	"ErrOnline":       {topup.ErrOnline, 403, "paid-online"},
	"ErrConflict":     {topup.ErrConflict, 422, "idempotency-conflict"},
	"ErrKey":          {topup.ErrKey, 400, "request"},
	"ErrAmount":       {topup.ErrAmount, 422, "amount"},
	"ErrMaxBalance":   {topup.ErrMaxBalance, 422, "max-balance"},
	"ErrMaxPaidOut":   {topup.ErrMaxPaidOut, 422, "max-paid-out"},
	"ErrUnknownAgent": {topup.ErrUnknownAgent, 403, "unknown-agent"},
	"ErrUnknownOrder": {topup.ErrUnknownOrder, 404, "unknown-order"},
	"ErrUnknownCard":  {topup.ErrUnknownCard, 404, "unknown-card"},
	"ErrCardBlocked":  {topup.ErrCardBlocked, 422, "card-blocked"},
	"ErrCardData":     {topup.ErrCardData, 422, "card-data"},
	"ErrUnknownKey":   {topup.ErrUnknownKey, 422, "unknown-key"},
	"ErrMAC1":         {topup.ErrMAC1, 422, "mac1"},
	"ErrARQC":         {topup.ErrARQC, 422, "arqc"},
	"ErrChipData":     {topup.ErrChipData, 422, "chip-data"},
	"ErrTAC":          {topup.ErrTAC, 422, "tac"},
	"ErrOtherCard":    {topup.ErrOtherCard, 409, "other-card"},
	"ErrOpenLoad":     {topup.ErrOpenLoad, 409, "open-load"},
	"ErrStale":        {topup.ErrStale, 409, "stale"},
	"ErrChallenge":    {topup.ErrChallenge, 409, "challenge"},
	"ErrState":        {topup.ErrState, 409, "state"},
	"ErrEvidence":     {topup.ErrEvidence, 422, "evidence"},
}

// ends is the same for the ends of cards.
var ends = map[string]struct {
	err    error
	status int
	code   string
}{
	"ErrUnknownOrder": {cardlife.ErrUnknownOrder, 404, "unknown-order"},
	"ErrUnknownCard":  {cardlife.ErrUnknownCard, 404, "unknown-card"},
	"ErrUnknownAgent": {cardlife.ErrUnknownAgent, 422, "unknown-acquirer"},
	"ErrTarget":       {cardlife.ErrTarget, 422, "target-card"},
	"ErrBlocked":      {cardlife.ErrBlocked, 422, "card-blocked"},
	"ErrOpen":         {cardlife.ErrOpen, 409, "open-order"},
	"ErrSamePerson":   {cardlife.ErrSamePerson, 422, "same-person"},
	"ErrNotIdle":      {cardlife.ErrNotIdle, 422, "not-idle"},
	"ErrRequest":      {cardlife.ErrRequest, 400, "request"},
	"ErrState":        {cardlife.ErrState, 409, "state"},
}

// officers is every refusal of package cases.
var officers = map[string]struct {
	err    error
	status int
	code   string
}{
	"ErrUnknownCase":     {cases.ErrUnknownCase, 404, "unknown-case"},
	"ErrUnknownTap":      {cases.ErrUnknownTap, 404, "unknown-tap"},
	"ErrNothingToDecide": {cases.ErrNothingToDecide, 409, "nothing-to-decide"},
	"ErrSamePerson":      {cases.ErrSamePerson, 422, "same-person"},
	"ErrUnknownAgent":    {cases.ErrUnknownAgent, 422, "unknown-acquirer"},
	"ErrTooMuch":         {cases.ErrTooMuch, 422, "too-much"},
	"ErrRunning":         {cases.ErrRunning, 409, "running-case"},
	"ErrRequest":         {cases.ErrRequest, 400, "request"},
	"ErrState":           {cases.ErrState, 409, "state"},
}

func TestEveryRefusalHasItsProblem(t *testing.T) {
	for name, want := range officers {
		p := api.ProblemOf(fmt.Errorf("case C1: %w", want.err))
		require.Equal(t, want.code, p.Code, name)
		require.Equal(t, want.status, p.Status, name)
	}
	for name, want := range ends {
		p := api.ProblemOf(fmt.Errorf("order E1: %w", want.err))
		require.Equal(t, want.code, p.Code, name)
		require.Equal(t, want.status, p.Status, name)
	}
	for name, want := range problems {
		p := api.ProblemOf(fmt.Errorf("load L1: %w", want.err))
		require.Equal(t, want.code, p.Code, name)
		require.Equal(t, want.status, p.Status, name)
		require.Equal(t, "urn:purselane:problem:"+want.code, p.Type)
	}
	require.Equal(t, "external-account", api.ProblemOf(ledger.ErrExternal).Code)
	require.Equal(t, "unknown-account", api.ProblemOf(books.ErrNoAccount).Code)
	require.Equal(t, 500, api.ProblemOf(ledger.ErrAdds).Status)
	require.Equal(t, "not-closed", api.ProblemOf(settlement.ErrNotClosed).Code)
	require.Equal(t, "day-changed", api.ProblemOf(settlement.ErrChanged).Code)

	// What nobody refused is not the caller's fault and not its business: it may ask again.
	p := api.ProblemOf(errors.New("disk /secret is full"))
	require.Equal(t, 503, p.Status)
	require.Equal(t, "unavailable", p.Code)
	require.NotContains(t, p.Detail, "secret")
}

// TestNoErrorIsForgotten reads the names of topup's, cardlife's and cases' errors out of their sources.
func TestNoErrorIsForgotten(t *testing.T) {
	files := token.NewFileSet()
	for path, of := range map[string]any{"../topup/errors.go": problems, "../topup/state.go": problems, "../cardlife/service.go": ends, "../cardlife/state.go": ends,
		"../cases/service.go": officers, "../cases/state.go": officers} {
		f, err := parser.ParseFile(files, path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, is := n.(*ast.ValueSpec); is {
				for _, name := range spec.Names {
					if strings.HasPrefix(name.Name, "Err") {
						require.Contains(t, of, name.Name)
					}
				}
			}
			return true
		})
	}
}

// TestThePageListsEveryProblem keeps docs/api.md equal to the table.
func TestThePageListsEveryProblem(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "| code | status | what is wrong | what to do |\n|---|---|---|---|\n")
	require.True(t, found)
	table, _, _ := strings.Cut(rest, "\n\n")
	want := ""
	seen := map[string]bool{}
	for _, k := range api.Kinds() {
		require.False(t, seen[k.Code], "%s stands there twice", k.Code)
		seen[k.Code] = true
		want += fmt.Sprintf("| `%s` | %d | %s | %s |\n", k.Code, k.Status, k.Title, k.Remedy)
	}
	require.Equal(t, strings.TrimSpace(want), strings.TrimSpace(table))
}
