package crypto

import "fmt"

// ForgeShare changes the value of a share and makes its checks right again.
func ForgeShare(page []byte) []byte {
	data, err := decodeShare(Page{Text: page})
	if err != nil {
		panic(err)
	}
	data[20] ^= 1
	var out []byte
	for line := range shareLines {
		out = fmt.Appendf(out, "%d: %s\n", line+1, encodeLine(line, data[line*lineBytes:(line+1)*lineBytes]))
	}
	return out
}
