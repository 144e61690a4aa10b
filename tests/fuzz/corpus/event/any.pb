
1/s1.0"nl.t*

dataschema	*urn:x:yB
https://example.nl/p.M