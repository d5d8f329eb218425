<?php
// A front controller, as WordPress, Symfony and Laravel have one: routes by what stands behind its
// name, or by the target where nothing does. Empty segments do not count.
$target = rawurldecode(strtok($_SERVER['REQUEST_URI'], '?'));
$target = preg_replace(['#//+#', '#^@FOLDER@(/index\.php)?(?=/|$)#'], ['/', ''], $target);
$route = '/' . trim(preg_replace('#//+#', '/', ($_SERVER['PATH_INFO'] ?? '') ?: $target), '/');
echo preg_match('#^/(panel|users)(/|$)#', $route) ? "RAN @FOLDER@$route\n" : "RAN @FOLDER@/index.php\n";
