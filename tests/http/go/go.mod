module tabbylsp.test/client

go 1.24
