package console

import (
	"embed"
	"fmt"
)

// Topic is a page of `lifeboat help TOPIC`.
type Topic struct{ Name, about, Text string }

//go:embed topics/*.txt
var topicTexts embed.FS

// Topics are the pages that help has beside the commands.
func Topics() []Topic {
	return []Topic{
		{"sources", "what SRC may be", topicText("sources")},
		{"places", "folders and buckets full of archives", topicText("places")},
		{"keys", "encrypted archives, and Secrets encrypted at rest", topicText("keys")},
		{"next-steps", "from a backup to objects that run again", topicText("next-steps")},
		{"time", "what was, when it was, and how to get it back", topicText("time")},
		{"exit-codes", "what the exit code tells a script", "The exit code of every command:\n\n" + ExitCodeText() + topicText("exit-codes")},
		{"environment", "environment variables, terminals, progress", topicText("environment")},
	}
}

func topicText(name string) string {
	text, err := topicTexts.ReadFile("topics/" + name + ".txt")
	if err != nil {
		panic(fmt.Sprintf("help about %s: %v", name, err)) // it is in the binary
	}
	return string(text)
}

func topicNamed(name string) (Topic, bool) {
	for _, t := range Topics() {
		if t.Name == name {
			return t, true
		}
	}
	return Topic{}, false
}
