package words

import "strings"

// Wrap breaks a line between words so that no part is longer than width, as far as
// its words allow; parts behind the first begin with indent. What the line itself
// begins with stays.
func Wrap(line string, width int, indent string) []string {
	var parts []string
	for len(line) > width {
		first := len(line) - len(strings.TrimLeft(line, " "))
		at := strings.LastIndexByte(line[:width+1], ' ')
		if at <= first {
			if next := strings.IndexByte(line[width:], ' '); next >= 0 {
				at = width + next
			} else {
				break
			}
		}
		parts = append(parts, line[:at])
		line = indent + strings.TrimLeft(line[at:], " ")
	}
	return append(parts, line)
}
