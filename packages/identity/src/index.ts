// The package's public face.
