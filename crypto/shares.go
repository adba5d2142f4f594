package crypto

import (
	"fmt"
	"os"
)

// maxPage bounds a page that was typed in.
const maxPage = 1 << 20

// ReadShares reads the locked key of SplitIdentity and pages with shares of it, as
// Combine and OpenShared take them.
func ReadShares(locked string, paths []string) ([]byte, []Page, error) {
	text, err := readPage(locked)
	if err != nil {
		return nil, nil, err
	}
	var pages []Page
	for _, path := range paths {
		page, err := readPage(path)
		if err != nil {
			return nil, nil, err
		}
		pages = append(pages, Page{Name: path, Text: page})
	}
	return text, pages, nil
}

func readPage(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPage {
		return nil, fmt.Errorf("%q is no page of text", path)
	}
	return os.ReadFile(path)
}
