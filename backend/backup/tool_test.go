package backup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/backup"
)

func TestNoPasswordStandsInAnArgument(t *testing.T) {
	for at, want := range map[string][2]string{
		"postgres://u:s3cret@db.example:5433/scheme?sslmode=verify-full&search_path=a": {"postgres://u@db.example:5433/scheme?sslmode=verify-full", "s3cret"},
		"postgres://u@db.example/scheme?password=s3cret":                               {"postgres://u@db.example/scheme", "s3cret"},
		"postgres://u@db.example/scheme":                                               {"postgres://u@db.example/scheme", ""},
		"postgres:///scheme?host=/run/postgresql&user=u":                               {"postgres:///scheme?host=%2Frun%2Fpostgresql&user=u", ""},
	} {
		require.Equal(t, want[0], backup.WithoutPassword(at))
		require.Equal(t, want[1], backup.PasswordOf(at))
	}
	require.NotContains(t, backup.WithoutPassword("postgres://u:s3cret@[bad/scheme"), "s3cret")
}

func TestTheVersionOfAProgram(t *testing.T) {
	require.Equal(t, 15, backup.ToolMajor("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"))
	require.Equal(t, 18, backup.ToolMajor("pg_restore (PostgreSQL) 18beta1\n"))
	require.Zero(t, backup.ToolMajor("pg_dump: command not found"))
}
