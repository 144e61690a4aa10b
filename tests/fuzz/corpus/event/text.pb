
1/s1.0"nl.t*%
datacontenttypeapplication/json:{"a":[1,"x"]}