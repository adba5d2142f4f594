package console

import "github.com/lifeboat-dr/lifeboat/internal/text"

// Section prints a report in headed parts; the first write error stays.
type Section = text.Section

// NewSection starts a report on standard output.
func NewSection(env *Environment) *Section { return text.NewSection(env.Stdout) }
