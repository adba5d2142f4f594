package console

import (
	"embed"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/internal/manual"
)

//go:embed topics/*.txt
var topicTexts embed.FS

// Topics are the pages that help has beside the commands.
func Topics() []manual.Topic {
	return []manual.Topic{
		{Name: "sources", About: "what SRC may be", Text: topicText("sources")},
		{Name: "places", About: "folders and buckets full of archives", Text: topicText("places")},
		{Name: "keys", About: "encrypted archives, and Secrets encrypted at rest", Text: topicText("keys")},
		{Name: "next-steps", About: "from a backup to objects that run again", Text: topicText("next-steps")},
		{Name: "time", About: "what was, when it was, and how to get it back", Text: topicText("time")},
		{Name: "exit-codes", About: "what the exit code tells a script", Text: "The exit code of every command:\n\n" + ExitCodeText() + topicText("exit-codes")},
		{Name: "environment", About: "environment variables, terminals, progress", Text: topicText("environment")},
	}
}

func topicText(name string) string {
	text, err := topicTexts.ReadFile("topics/" + name + ".txt")
	if err != nil {
		panic(fmt.Sprintf("help about %s: %v", name, err)) // it is in the binary
	}
	return string(text)
}

func topicNamed(name string) (manual.Topic, bool) {
	for _, t := range Topics() {
		if t.Name == name {
			return t, true
		}
	}
	return manual.Topic{}, false
}
