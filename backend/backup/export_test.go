package backup

var (
	WithoutPassword = withoutPassword
	PasswordOf      = passwordOf
	ToolMajor       = toolMajor
)
