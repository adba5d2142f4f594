// Package argv reads a command line as kubectl does: flags may stand before and
// after the arguments, and before the verb. urfave/cli, which runs the verbs,
// stops at the first argument and drops the flags after it without a word, so
// that `restore x --dry-run` would run for real (urfave/cli#976, #1177). Permute
// puts a line into the one order that the library parses; Complete offers the
// words that may come next.
package argv

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// Line is a command line, understood: which command, and what it is given.
type Line struct {
	Path []*cli.Command // from the verb down; empty when there was none
	Call []string       // the command, its flags as --name=value, "--", the arguments
	Help bool           // -h or --help stood somewhere
}

// Error says what is wrong with a line.
type Error struct {
	Message string
	Hint    string // what was meant, or where to look; may be empty

	// Of a word that is no command: the commands before it, the word, and what
	// follows it.
	Path []*cli.Command
	Word string
	Rest []string
}

func (e *Error) Error() string { return e.Message }

// Permute reads args (without the program's name). Flags may stand anywhere,
// also before the verb, as with kubectl. "--" ends them; "-" is an argument.
// Short flags that take no value may be joined (-Ah), the last may carry its
// value (-nprod). It refuses what it does not know, a flag given twice, and a
// value that looks like a flag: `--to --dry-run` is a slip, not a folder. Its
// errors are *Error.
func Permute(app *cli.App, args []string) (Line, error) {
	p := parser{app: app, rest: args}
	p.read()
	switch {
	case p.help || slices.ContainsFunc(p.rest, isHelp):
		// Whoever asks for help gets it, whatever else is wrong with the line.
		return Line{Path: p.path, Help: true}, nil
	case p.err == nil:
		return p.finish()
	}
	return Line{}, p.err
}

func isHelp(arg string) bool { return arg == "-h" || arg == "--help" }

// parser is a Permute on its way through the arguments.
type parser struct {
	app *cli.App

	rest  []string // not looked at yet
	path  []*cli.Command
	given []givenFlag
	words []string
	help  bool

	wantsValue bool   // the arguments ended where a flag's value should stand
	err        *Error // ends the reading
}

type givenFlag struct{ typed, value string }

// read takes the arguments apart, up to the first error.
func (p *parser) read() {
	for len(p.rest) > 0 && p.err == nil {
		arg := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case arg == "--":
			for _, word := range p.rest {
				p.word(word)
			}
			p.rest = nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			p.word(arg)
			p.verbatim()
		case strings.HasPrefix(arg, "--"):
			p.long(arg[2:])
		default:
			p.short(arg[1:])
		}
	}
}

// The ArgsUsage of commands that hand words on as they were typed: flags among
// them are another program's. The one takes what follows SRC, the other the
// arguments of the program that is named after SRC.
const (
	VerbatimAfterSource = "SRC ARGS..."
	CommandAfterSource  = "SRC [-- COMMAND [ARGS...]]"
)

// verbatim takes the rest of the arguments as words, where the last of such a
// command's own has just been read.
func (p *parser) verbatim() {
	if len(p.path) == 0 {
		return
	}
	own := map[string]int{VerbatimAfterSource: 1, CommandAfterSource: 2}[p.path[len(p.path)-1].ArgsUsage]
	if own > 0 && len(p.words) == own {
		p.words = append(p.words, p.rest...)
		p.rest = nil
	}
}

// Arity says whether a flag takes a value.
type Arity int

// What is known of a flag of a name.
const (
	unknown Arity = iota
	alone         // a switch
	withValue
	Either // one command's flag does, and another's of that name does not
)

// FlagArity collects the flags of commands, and of those below them.
func FlagArity(cmds []*cli.Command) map[string]Arity {
	found := map[string]Arity{"h": alone, "help": alone, "version": alone}
	var walk func([]*cli.Command)
	walk = func(cmds []*cli.Command) {
		for _, cmd := range cmds {
			for _, flag := range cmd.Flags {
				is := alone
				if takesValue(flag) {
					is = withValue
				}
				for _, name := range flag.Names() {
					if was := found[name]; was != unknown && was != is {
						is = Either
					}
					found[name] = is
				}
			}
			walk(cmd.Subcommands)
		}
	}
	walk(cmds)
	return found
}

// arity reads a flag as the command does that was named so far or, before a
// verb was named, as all do that may come (TestFlagsAgree). A flag of other
// commands is read as theirs, so that the error can name it.
func (p *parser) arity(name string) Arity {
	if len(p.path) > 0 {
		if is := FlagArity(p.path[len(p.path)-1:])[name]; is != unknown {
			return is
		}
	}
	is := FlagArity(p.app.Commands)[name]
	if is == Either && len(p.path) > 0 {
		return alone // unknown here: finish says so
	}
	return is
}

func takesValue(flag cli.Flag) bool {
	doc, ok := flag.(cli.DocGenerationFlag)
	return ok && doc.TakesValue()
}

// below are the commands that the next word may name.
func (p *parser) below() []*cli.Command {
	if len(p.path) == 0 {
		return p.app.Commands
	}
	return p.path[len(p.path)-1].Subcommands
}

func (p *parser) word(word string) {
	cmds := p.below()
	if len(cmds) == 0 {
		p.words = append(p.words, word)
		return
	}
	var names []string
	for _, cmd := range cmds {
		if cmd.HasName(word) {
			p.path = append(p.path, cmd)
			return
		}
		if !cmd.Hidden {
			names = append(names, cmd.Name)
		}
	}
	p.fail(DidYouMean(word, names, "", p.app.Name+" help"), "unknown command %q", word)
	p.err.Path, p.err.Word, p.err.Rest = p.path, word, p.rest
}

func (p *parser) long(arg string) {
	name, value, hasValue := strings.Cut(arg, "=")
	is := p.arity(name)
	switch {
	case is == unknown || utf8.RuneCountInString(name) == 1:
		p.unknownFlag("--" + name)
	case hasValue:
		p.add(name, value)
	case is == Either:
		p.fail("write it behind the command", "flag --%s takes a value in one command and none in another", name)
	case is == withValue:
		p.addNext(name, "--"+name)
	default:
		p.add(name, "true")
	}
}

func (p *parser) short(letters string) {
	if name, _, _ := strings.Cut(letters, "="); len(name) > 1 {
		if p.arity(name) != unknown {
			p.fail("write --"+name, "unknown flag -%s", name)
			return
		}
	}
	for len(letters) > 0 && p.err == nil {
		_, size := utf8.DecodeRuneInString(letters)
		name, rest := letters[:size], letters[size:]
		is := p.arity(name)
		value, hasValue := strings.CutPrefix(rest, "=")
		switch {
		case is == unknown:
			p.unknownFlag("-" + name)
			return
		case hasValue || (is == withValue && rest != ""):
			p.add(name, value)
			return
		case is == withValue:
			p.addNext(name, "-"+name)
			return
		}
		p.add(name, "true")
		letters = rest
	}
}

func (p *parser) add(name, value string) {
	switch name {
	case "h", "help":
		p.help = true
	case "version":
		if len(p.path) == 0 {
			p.word("version")
			return
		}
		fallthrough
	default:
		p.given = append(p.given, givenFlag{name, value})
	}
}

// addNext takes the next argument as the value of the flag.
func (p *parser) addNext(name, typed string) {
	if len(p.rest) == 0 {
		p.wantsValue = true
		p.fail("", "flag %s needs a value", typed)
		return
	}
	next := p.rest[0]
	if strings.HasPrefix(next, "-") && next != "-" {
		p.fail("if "+next+" is the value, write "+Dashed(name)+"="+next, "flag %s needs a value, and %q looks like a flag", typed, next)
		return
	}
	p.rest = p.rest[1:]
	p.add(name, next)
}

// finish checks the flags against the command that was found.
func (p *parser) finish() (Line, error) {
	if len(p.path) == 0 || (len(p.below()) > 0 && p.path[len(p.path)-1].Action == nil) {
		p.fail("see "+Name(p.app, p.path)+" --help", "no command given")
		return Line{}, p.err
	}
	cmd := p.path[len(p.path)-1]
	call := Line{Path: p.path}
	for _, c := range p.path {
		call.Call = append(call.Call, c.Name)
	}
	seen := map[string]bool{}
	for _, given := range p.given {
		flag := flagNamed(cmd, given.typed)
		if flag == nil {
			p.unknownFlag(Dashed(given.typed))
			return Line{}, p.err
		}
		name := flag.Names()[0]
		if slice, ok := flag.(cli.DocGenerationSliceFlag); seen[name] && (!ok || !slice.IsSliceFlag()) {
			p.fail("", "flag --%s is given twice", name)
			return Line{}, p.err
		}
		seen[name] = true
		call.Call = append(call.Call, "--"+name+"="+given.value)
	}
	call.Call = append(append(call.Call, "--"), p.words...)
	return call, nil
}

// flagNamed gives cmd's flag of that name, long or short; nil when it has none.
func flagNamed(cmd *cli.Command, name string) cli.Flag {
	i := slices.IndexFunc(cmd.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return cmd.Flags[i]
}

// Dashed is a flag as it is typed.
func Dashed(name string) string {
	if utf8.RuneCountInString(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func (p *parser) unknownFlag(typed string) {
	if len(p.path) == 0 || len(p.below()) > 0 {
		var names []string
		for name := range FlagArity(p.app.Commands) {
			names = append(names, name)
		}
		p.fail(DidYouMean(strings.TrimLeft(typed, "-"), names, "--", p.app.Name+" help"), "unknown flag %s", typed)
		return
	}
	cmd := p.path[len(p.path)-1]
	var names []string
	for _, flag := range cmd.Flags {
		names = append(names, flag.Names()[0])
	}
	full := Name(p.app, p.path)
	p.fail(DidYouMean(strings.TrimLeft(typed, "-"), names, "--", full+" --help"), "unknown flag %s for %q", typed, full)
}

func (p *parser) fail(hint, message string, args ...any) {
	p.err = &Error{Message: fmt.Sprintf(message, args...), Hint: hint}
}

// Name is what has to be typed to run the command at the end of path.
func Name(app *cli.App, path []*cli.Command) string {
	names := []string{app.Name}
	for _, cmd := range path {
		names = append(names, cmd.Name)
	}
	return strings.Join(names, " ")
}

// DidYouMean is a hint for a word that is none of names, and otherwise where
// to look. The names are printed with prefix.
func DidYouMean(word string, names []string, prefix, otherwise string) string {
	near := words.Nearest(word, names)
	if len(near) == 0 {
		return "see " + otherwise
	}
	for i := range near {
		near[i] = prefix + near[i]
	}
	return "did you mean " + strings.Join(near, ", ") + "?"
}
