function twice(rec, n) return n * 2 end
