<?php
// RAN @SELF@
// Says that it ran, or that it was fallen back upon: that its name is not in the target, and more
// stands there than its folder.
$target = rawurldecode(strtok($_SERVER['REQUEST_URI'], '?'));
$is_named = stripos($target, basename('@SELF@')) !== false;
echo $is_named || empty($_SERVER['PATH_INFO']) ? 'RAN' : 'FELL BACK', " @SELF@\n";
