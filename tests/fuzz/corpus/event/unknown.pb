:eerst ¬ªxµabcd¹abcdefgh
1/s1.0"nl.t*
ax*
ay