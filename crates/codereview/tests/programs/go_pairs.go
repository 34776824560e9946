package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

type Store struct {
	root string
}

func (s *Store) resolve(name string) (string, error) {
	path := filepath.Join(s.root, name)
	rel, err := filepath.Rel(s.root, path)
	if err != nil {
		return "", err
	}
	if rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", fmt.Errorf("%q leaves the store", name)
	}
	return path, nil
}

func (s *Store) Read(name string) ([]byte, error) {
	path, err := s.resolve(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func (s *Store) Drop(name string) error {
	path, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	return os.Remove(path) // BAD path-traversal
}
